"""Test problems for TensorFlow's DeepOBS 1.1.2.

Importing this package does not import TensorFlow; importing one of its modules does.
"""
