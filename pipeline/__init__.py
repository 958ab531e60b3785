"""What the function app does, one module a stage, and the Azure adapters that the stages use."""
