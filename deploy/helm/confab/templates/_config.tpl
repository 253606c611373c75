{{/*
The settings files. A gateway's has no word of the database and a worker's none of tokens: neither sees what it does not need.
What the chart sets by itself goes before what values say; values.schema.json refuses those names there.
*/}}

{{/* Settings as TOML: JSON's strings, numbers, booleans and lists of them are TOML's too. */}}
{{- define "confab.toml" -}}
{{- range $name, $value := . }}
{{ $name }} = {{ toJson $value }}
{{- end }}
{{- end }}

{{- define "confab.config.gateway" -}}
{{- $own := dict
  "listen" "0.0.0.0:8080"
  "admin_listen" "0.0.0.0:8081"
  "auth" "jwt"
  "drain_time" (printf "%ds" (int .Values.gateway.drainSeconds)) }}
{{- with .Values.secrets.tokens }}
{{- if .existingSecret }}
{{- range $setting, $keys := dict "hs256_keys" .hs256Keys "rs256_keys" .rs256Keys "eddsa_keys" .eddsaKeys }}
{{- if $keys }}
{{- $files := list }}
{{- range $keys }}{{ $files = append $files (include "confab.secretFile" (list "tokens" .)) }}{{ end }}
{{- $_ := set $own $setting $files }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- if .Values.secrets.clientTls.existingSecret }}
{{- $_ := set $own "tls_cert" (include "confab.secretFile" (list "client-tls" "tls.crt")) }}
{{- $_ := set $own "tls_key" (include "confab.secretFile" (list "client-tls" "tls.key")) }}
{{- end }}
{{- if .Values.gateway.banned.existingConfigMap }}
{{- $_ := set $own "banned_file" (printf "/etc/confab/banned/%s" .Values.gateway.banned.key) }}
{{- end }}
{{- include "confab.toml" (merge $own (fromYaml (include "confab.config.nats" .)) .Values.gateway.settings .Values.settings) | trim }}
{{- end }}

{{- define "confab.config.worker" -}}
{{- $own := dict "admin_listen" "0.0.0.0:8081" }}
{{- with .Values.secrets.cql }}
{{- if .existingSecret }}
{{- $_ := set $own "cql_user" .user }}
{{- $_ := set $own "cql_password_file" (include "confab.secretFile" (list "cql" .passwordKey)) }}
{{- end }}
{{- end }}
{{- with .Values.secrets.cqlTls }}
{{- if .existingSecret }}
{{- $_ := set $own "cql_tls" true }}
{{- range $setting, $key := dict "cql_ca" .caKey "cql_cert" .certKey "cql_key" .keyKey }}
{{- if $key }}{{ $_ := set $own $setting (include "confab.secretFile" (list "cql-tls" $key)) }}{{ end }}
{{- end }}
{{- end }}
{{- end }}
{{- include "confab.toml" (merge $own (fromYaml (include "confab.config.nats" .)) .Values.worker.settings .Values.settings) | trim }}
{{- end }}

{{/* How both reach NATS, as YAML. */}}
{{- define "confab.config.nats" -}}
{{- $own := dict }}
{{- with .Values.secrets.nats }}
{{- if .existingSecret }}
{{- if .passwordKey }}{{ $_ := set $own "nats_user" .user }}{{ end }}
{{- range $setting, $key := dict "nats_password_file" .passwordKey "nats_token_file" .tokenKey "nats_nkey_file" .nkeyKey "nats_creds_file" .credsKey }}
{{- if $key }}{{ $_ := set $own $setting (include "confab.secretFile" (list "nats" $key)) }}{{ end }}
{{- end }}
{{- end }}
{{- end }}
{{- with .Values.secrets.natsTls }}
{{- if .existingSecret }}
{{- $_ := set $own "nats_tls" true }}
{{- range $setting, $key := dict "nats_ca" .caKey "nats_cert" .certKey "nats_key" .keyKey }}
{{- if $key }}{{ $_ := set $own $setting (include "confab.secretFile" (list "nats-tls" $key)) }}{{ end }}
{{- end }}
{{- end }}
{{- end }}
{{- toYaml $own }}
{{- end }}

{{/* The Secrets that a part sees: names of volumes and of Secrets, as YAML. Takes (dict "root" . "part" NAME). */}}
{{- define "confab.secrets" -}}
{{- $all := .root.Values.secrets }}
{{- $seen := dict "nats" $all.nats "nats-tls" $all.natsTls }}
{{- if eq .part "gateway" }}
{{- $_ := set $seen "tokens" $all.tokens }}
{{- $_ := set $seen "client-tls" $all.clientTls }}
{{- else }}
{{- $_ := set $seen "cql" $all.cql }}
{{- $_ := set $seen "cql-tls" $all.cqlTls }}
{{- end }}
{{- range $name, $secret := $seen }}
{{- if $secret.existingSecret }}
{{ $name }}: {{ $secret.existingSecret }}
{{- end }}
{{- end }}
{{- end }}
