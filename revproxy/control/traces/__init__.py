"""
Spans made of records, and their export.

In the order of flow: `traceexport` hears of requests that are over; `sampledrecords` picks those whose trace is
sampled; `spansender` has a thread that `spans` makes them into spans in, and that sends these by OpenTelemetry's
exporter. Nothing of it is in the event loop but the picking; and without ``traces.otlp`` nothing of it is there.
"""
