"""How many jobs a minute need how much of what (capacity), and what the lag scaler makes of bursts (simulation)."""
