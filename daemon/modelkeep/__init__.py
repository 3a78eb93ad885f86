"""modelkeep keeps what is known about an AI model file with the model, wherever the file goes."""

__version__ = "0.1.0"
