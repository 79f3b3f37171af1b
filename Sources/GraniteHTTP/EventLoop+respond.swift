// Defines what the loop does with answers: the application's, its own refusals, and the rest of what a client takes
// slowly. Separate from the reading half of the loop.

import GraniteExchange

extension EventLoop {
    /// The driver is about to have the request answered.
    func dispatched(_ connection: Connection) {
        connection.isInFlight = true
        outstanding += 1
    }

    /// The request is answered: sends what is left of the response, and goes on with the connection.
    func finished(_ connection: Connection) {
        outstanding -= 1
        connection.isInFlight = false
        if connection.mustClose || connection.writer.isGone {
            close(connection, reset: connection.writer.needsReset)
            return
        }
        sendResponse(connection)
    }

    private func sendResponse(_ connection: Connection) {
        let writer = connection.writer
        if !writer.send() {
            close(connection, reset: writer.needsReset)
            return
        }
        if writer.isInterrupted { resume(connection) }
        let ending: ConnectionState.Ending
        if writer.keepsConnection {
            ending = .keep
        } else if writer.needsReset {
            ending = .close
        } else {
            // Closing with unread bytes would reset the connection, and could take the response with it.
            ending =
                connection.isReadable || !connection.reader.isComplete || connection.hasUnparsedInput ? .linger : .close
        }
        perform(connection.state.responded(ending, drained: !writer.hasUnsent, now: now, timeouts), on: connection)
    }

    func writeOn(_ connection: Connection) {
        let writer = connection.writer
        if !writer.send() {
            close(connection, reset: writer.needsReset)
            return
        }
        if writer.isInterrupted { resume(connection) }
        perform(connection.state.wrote(drained: !writer.hasUnsent, now: now, timeouts), on: connection)
    }

    func reject(_ connection: Connection, _ rejection: Rejection) {
        requestNumber += 1
        connection.prepareRejection(number: requestNumber)
        forgetBody(of: connection)
        let writer = connection.writer
        writer.respond(status: rejection.status, reason: reasonPhrase(rejection.status), text: rejection.reason)
        observer?.didReject(writer.request, status: rejection.status, bodyBytes: writer.bodyBytes, queuedNanoseconds: 0)
        sendResponse(connection)
    }

    /// Answers for the application what has waited for too long, each by its own time: those before may be dead.
    func expireQueued() {
        let limit = configuration.queueTimeout.nanoseconds
        while let connection = ready.first {
            if connection.mustClose { close(connection) }
            if connection.state.phase != .request {
                _ = ready.popFirst()
                continue
            }
            guard now > connection.completedAt, now - connection.completedAt >= limit else { return }
            _ = ready.popFirst()
            let writer = connection.writer
            writer.respond(
                status: 503, reason: reasonPhrase(503), text: "all threads of the application are busy",
                retryAfter: configuration.retryAfterSeconds)
            observer?.didReject(
                writer.request, status: 503, bodyBytes: writer.bodyBytes,
                queuedNanoseconds: now - connection.completedAt)
            sendResponse(connection)
        }
    }
}
