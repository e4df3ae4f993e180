"""The released DeepOBS 1.1.2 on TensorFlow 2, and the process in which its runs happen."""
