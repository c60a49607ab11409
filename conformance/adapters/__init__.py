"""How accounts are made, read and disabled: one module for each kind of gateway."""
