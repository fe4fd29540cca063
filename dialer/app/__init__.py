"""Where the server is put together: the only place that builds parts and wires them.

Three processes, each with its module here; they share nothing but PostgreSQL, and none loads the parts of
another, since an engine that was killed is waited for:

    engine   speaks to Asterisk: paces, places, follows and joins calls
    web      pages, API, events
    jobs     imports and other long work
"""
