"""Dashboards and alerts: Prometheus's programs, the dashboards' JSON, and pictures of them from a recorded run."""
