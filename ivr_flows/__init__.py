"""Voice menus as data: the schema of a flow, its interpreter and the flows. They come with inbound calls."""
