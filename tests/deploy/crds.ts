// Judges custom resources by the schemas that their makers publish: a list of them on stdin, their faults on stdout, one a line.
import { ExternalSecret } from "npm:@kubernetes-models/external-secrets@2.0.0/external-secrets.io/v1";
import { ScaledObject } from "npm:@kubernetes-models/keda@2.0.0/keda.sh/v1alpha1";
import { PodMonitor, PrometheusRule } from "npm:@kubernetes-models/prometheus-operator@6.0.0/monitoring.coreos.com/v1";

const known = { ExternalSecret, PodMonitor, PrometheusRule, ScaledObject };

for (const manifest of JSON.parse(await new Response(Deno.stdin.readable).text())) {
  const kind = known[manifest.kind];
  if (!kind || kind.apiVersion !== manifest.apiVersion) {
    console.log(`${manifest.apiVersion} ${manifest.kind}: no schema of it is known`);
    continue;
  }
  try {
    new kind(manifest).validate();
  } catch (fault) {
    console.log(`${manifest.kind} ${manifest.metadata.name}: ${fault.message}`);
  }
}
