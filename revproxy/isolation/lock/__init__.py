"""
What a process gives up before code comes into it that nobody trusts, and the proof that it has.

From the numbers of a machine to a locked process::

    syscalls (x86_64, aarch64), kernel     calls into the kernel, by ctypes: nothing has to be installed
    layers                                 values: Lock, Layers with their level (A, B, C), Report
    step                                   one layer: put on, and tried at once
      descriptors, limits, privileges, namespaces, landlock, newcode, seccomp
    lockdown                               all of them in their order: lockDown(Lock) → Report
    probes                                 what a locked process must not be able to do, tried by itself
    trial                                  a child that tries something
      detection                            detect(): which layers this machine has
      canaries                             children that must die of it
    watching                               what it takes to see and to end one: obstacle()
    outside                                checkOutside(pid): what the kernel says of a locked process

It imports nothing else of ours, and runs in processes that have little.
"""
