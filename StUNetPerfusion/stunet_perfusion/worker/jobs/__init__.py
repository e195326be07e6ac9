"""One file a job: `run(request, job, session)` does what a request of the protocol asks and returns its result.

A job's module is imported when it is asked for first, so that the worker answers before torch is loaded.
"""
