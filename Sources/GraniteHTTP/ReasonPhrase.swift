// Defines the reason phrases of the statuses that the server itself sends. Separate: the application brings its own.

/// The phrase of RFC 9110 section 15 for a status that a ``Rejection`` carries.
func reasonPhrase(_ status: Int) -> StaticString {
    switch status {
    case 400: "Bad Request"
    case 408: "Request Timeout"
    case 413: "Content Too Large"
    case 414: "URI Too Long"
    case 417: "Expectation Failed"
    case 431: "Request Header Fields Too Large"
    case 501: "Not Implemented"
    case 503: "Service Unavailable"
    case 505: "HTTP Version Not Supported"
    default: "Error"
    }
}
