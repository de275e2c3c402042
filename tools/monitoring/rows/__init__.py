"""The rows of the dashboards, one file a theme. Colours turn where the alerts of deploy/monitoring fire."""
