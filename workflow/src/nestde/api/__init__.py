"""What Python users call: `nestde.de`, `nestde.lmm`, `nestde.lrt`."""
