"""The data sets of the test problems, decoded once into tensors that live on the device."""
