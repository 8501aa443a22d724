"""Values and rules without time or I/O."""
