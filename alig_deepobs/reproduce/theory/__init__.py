"""What the paper proves or draws about ALI-G's step, carried out with the optimizers themselves."""
