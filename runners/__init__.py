"""How a run happens: specifications, training loops, protocols."""
