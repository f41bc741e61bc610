"""Images and compose.yaml."""
