"""The client door: a local forward proxy that sends each request direct or through a gateway."""
