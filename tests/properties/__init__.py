"""What must hold for every input of the pure core, tried on inputs that Hypothesis makes up."""
