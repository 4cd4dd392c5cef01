"""
Who changed what: the audit records, the line of time, and the way back.

    chain          an audit record as a value, and what makes it one of a chain
    auditfiles     the records on disk: appended, bounded, read
    verification   whether that is all there was, and as it was written; also without an edge
    standing       how things stand at one moment; what makes one of another
    historyfiles   the line of time on disk, with texts of configurations
    history        takes what has happened, and knows how things stood
    comparison     what is different between how things stood after two changes
    difference     what is different between two texts
    audit          takes what has happened, and has it written down
"""
