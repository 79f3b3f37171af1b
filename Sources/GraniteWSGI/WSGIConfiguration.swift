// Defines what an application is told of its server.

/// The part of `environ` that is the same for every request.
package struct WSGIConfiguration: Sendable {
    /// SERVER_NAME: the host that the server listens on.
    package var serverName: String
    /// SERVER_PORT.
    package var serverPort: Int
    /// wsgi.url_scheme: "http" or "https".
    package var urlScheme: String
    /// wsgi.multithread: whether several threads of this worker call the application.
    package var isMultithreaded: Bool
    /// wsgi.multiprocess: whether there are other workers.
    package var isMultiprocess: Bool
    /// In front of the request's number in `granite.request_id`; unique per worker. The number has
    /// ``RequestIDs/numberDigits`` hexadecimal digits, so that the id is the one in the crash page and the access log.
    package var requestIDPrefix: String

    package init(
        serverName: String, serverPort: Int, urlScheme: String = "http", isMultithreaded: Bool = false,
        isMultiprocess: Bool = false,
        requestIDPrefix: String = ""
    ) {
        self.serverName = serverName
        self.serverPort = serverPort
        self.urlScheme = urlScheme
        self.isMultithreaded = isMultithreaded
        self.isMultiprocess = isMultiprocess
        self.requestIDPrefix = requestIDPrefix
    }
}
