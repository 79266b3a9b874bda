"""Label Studio: its exports, its JSON, its REST API, a local server, accounts.

read_export -> submissions -> read_shapes -> read_marks, read_rationales, read_ratings     from exports to records
results                                                                     from records to Label Studio's JSON
connection -> client -> accounts                                            the REST API, through the SDK
environment, credentials, image_urls -> server                              a local server

Nothing here depends on campaign stages, assignment or consensus.  Import from the modules: this file imports none, so
that reading an export does not load an HTTP client.
"""
