"""Stand-ins for Azure's services behind the pipeline's own ports; each passes the contract tests of the real thing."""
