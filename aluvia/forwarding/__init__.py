"""Forward proxying: what every door that is a forward proxy does with its requests."""
