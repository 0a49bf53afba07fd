"""Sets of real images that drawn ones are compared with."""
