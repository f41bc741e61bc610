"""What judging costs: published practice beside this library, with simulated judges of known accuracy behind the real rooms."""
