"""What `dlif deploy` registers: deployments of flows, templates of work pools, settings of a server."""
