// Holds objects of the Gateway API and of the Prometheus operator against their models, and writes a program in which each is a constant of
// its type: the compiler then finds every field that the type does not have.
import { readFileSync, writeFileSync } from "node:fs";

const packages = {
  "gateway.networking.k8s.io": "@kubernetes-models/gateway-api",
  "monitoring.coreos.com": "@kubernetes-models/prometheus-operator",
};
const objects = JSON.parse(readFileSync("objects.json", "utf8"));
if (objects.length === 0) {
  throw new Error("there is no object of the Gateway API and of the Prometheus operator: nothing would be checked");
}
const program = [];
for (const [number, object] of objects.entries()) {
  const [group] = object.apiVersion.split("/");
  const path = `${packages[group]}/${object.apiVersion}/${object.kind}`;
  const { [object.kind]: Model } = await import(path);
  new Model(object).validate();
  program.push(`import type { I${object.kind} as T${number} } from "${path}";`);
  program.push(`export const object${number}: T${number} = ${JSON.stringify(object)};`);
}
writeFileSync("objects.ts", program.join("\n"));
const kinds = [...new Set(objects.map((object) => object.kind))].sort();
console.log(`xtask: ${objects.length} objects are as their models are: ${kinds.join(", ")}`);
