// Defines how the loop ends: gracefully, then by the deadline. Separate: it is read when a worker would not stop.

extension EventLoop {
    func stop() {
        drain(stopDescriptor)
        if isStopping { return }
        isStopping = true
        stopSign.set()
        drainDeadline = now + configuration.drainTimeout.nanoseconds
        stopAccepting()
        for connection in connections where connection.state.isIdle && connection.input.count == 0 {
            // What has arrived and was not read yet is served; silence is closed.
            connection.isReadable = true
            readOn(connection)
            if connection.state.isIdle { close(connection) }
        }
    }

    /// The drain's deadline has passed.
    func cutAll() {
        drainDeadline = .max
        for connection in connections {
            if connection.isInFlight {
                // Its thread sees the end at the next write; the descriptor must stay its own until then.
                connection.mustClose = true
                connection.transport.cut()
            } else {
                close(connection)
            }
        }
    }
}
