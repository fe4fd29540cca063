"""What an Asterisk of somebody else may ask from its own dialplan: by HTTP, and by FastAGI."""
