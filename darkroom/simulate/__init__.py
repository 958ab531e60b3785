"""What a formula would do: workloads, machines and the pipeline in front of Batch, on the core of the local Batch
service under a virtual clock. `docs/autoscale.md` describes the model."""
