{{/*
The pod of a gateway or a worker. Takes (dict "root" . "part" NAME).

The three probes ask three things. Startup: has the process reached its engines and begun? Until then nothing else is asked, however long the
engines take. Liveness: does its runtime still turn? Only a restart helps one that does not. Readiness: does it do its work at this moment?
While NATS is away it does not, and a restart would not help.
*/}}
{{- define "confab.pod" -}}
{{- $root := .root }}
{{- $part := .part }}
{{- $values := index $root.Values $part }}
{{- $secrets := fromYaml (include "confab.secrets" .) }}
metadata:
  labels:
    {{- include "confab.labels" . | nindent 4 }}
    {{- with $values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    # Settings are read at the start: others make other pods.
    checksum/config: {{ include (printf "confab.config.%s" $part) $root | sha256sum }}
    {{- with $values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "confab.serviceAccount" $root }}
  automountServiceAccountToken: false
  # Kubernetes would set variables such as CONFAB_GATEWAY_PORT, and the program refuses variables that it does not know.
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ $values.terminationGracePeriodSeconds }}
  {{- with $values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with $root.Values.image.pullSecrets }}
  imagePullSecrets:
    {{- range . }}
    - name: {{ . }}
    {{- end }}
  {{- end }}
  securityContext:
    {{- include "confab.podSecurity" $root | nindent 4 }}
  containers:
    - name: {{ $part }}
      image: {{ include "confab.image" (dict "root" $root "image" $root.Values.image) | quote }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      command: [/usr/local/bin/confab]
      args: [{{ $part }}]
      env:
        # A variable, so that `kubectl exec` finds the settings too.
        - name: CONFAB_CONFIG
          value: /etc/confab/config/confab.toml
      ports:
        {{- if eq $part "gateway" }}
        - {name: ws, containerPort: 8080}
        {{- end }}
        - {name: admin, containerPort: 8081}
      startupProbe:
        httpGet: {path: /startupz, port: admin}
        periodSeconds: 2
        timeoutSeconds: 2
        failureThreshold: 150
      livenessProbe:
        httpGet: {path: /healthz, port: admin}
        periodSeconds: 10
        timeoutSeconds: 3
        failureThreshold: 3
      readinessProbe:
        httpGet: {path: /readyz, port: admin}
        periodSeconds: 2
        timeoutSeconds: 2
        failureThreshold: 2
      {{- if eq $part "gateway" }}
      lifecycle:
        preStop:
          sleep: {seconds: {{ $values.preStopSeconds }}}
      {{- end }}
      resources:
        {{- toYaml $values.resources | nindent 8 }}
      securityContext:
        {{- include "confab.containerSecurity" $root | nindent 8 }}
      volumeMounts:
        - {name: config, mountPath: /etc/confab/config, readOnly: true}
        {{- range $name, $secret := $secrets }}
        - {name: {{ $name }}, mountPath: /etc/confab/secrets/{{ $name }}, readOnly: true}
        {{- end }}
        {{- if and (eq $part "gateway") $values.banned.existingConfigMap }}
        - {name: banned, mountPath: /etc/confab/banned, readOnly: true}
        {{- end }}
  volumes:
    - name: config
      configMap: {name: {{ include "confab.fullname" $root }}-{{ $part }}}
    {{- range $name, $secret := $secrets }}
    - name: {{ $name }}
      secret: {secretName: {{ $secret }}, defaultMode: 0440}
    {{- end }}
    {{- if and (eq $part "gateway") $values.banned.existingConfigMap }}
    - name: banned
      configMap: {name: {{ $values.banned.existingConfigMap }}}
    {{- end }}
  {{- with $values.topologyKeys }}
  topologySpreadConstraints:
    {{- range . }}
    - topologyKey: {{ . }}
      maxSkew: 1
      whenUnsatisfiable: ScheduleAnyway
      # Pods of the version before do not count.
      matchLabelKeys: [pod-template-hash]
      labelSelector:
        matchLabels:
          {{- include "confab.selector" (dict "root" $root "part" $part) | nindent 10 }}
    {{- end }}
  {{- end }}
  {{- with $values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
