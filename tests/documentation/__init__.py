"""What the documentation says is so, and its site is built without a warning."""
