"""What runs in worker processes. Started by name, never imported by the server."""
