"""Pictures of the dashboards: the whole stack under a mixed load, recorded by a real Prometheus, drawn panel by panel."""
