// Defines how an application is named on the command line. Pure: what the name means in Python is ApplicationLoader's
// business.

/// `module:attribute`, parsed.
package struct ApplicationTarget: Equatable, Sendable {
    /// Dotted module name, "shop.wsgi".
    package var module: String
    /// Attribute path inside of the module; nil: `app`, else `application`.
    package var attributes: [String]?
    /// Whether the attribute is called, without arguments, to get the application: `create_app()` or `--factory`.
    package var isFactory: Bool

    /// - Parameters:
    ///   - text: `module`, `module:attribute`, `module:a.b` or `module:create()`.
    ///   - factory: `--factory`.
    package init(_ text: String, factory: Bool = false) throws(WSGIError) {
        func invalid(_ reason: String, hint: String) -> WSGIError {
            WSGIError(.invalidTarget, "\"\(text)\" does not name an application: \(reason)", hint: hint)
        }
        let example = "Write module:attribute, such as app:app or shop.wsgi:application"
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let module = parts.first ?? ""
        if module.contains("/") || module.hasSuffix(".py") {
            let stem = module.split(separator: "/").last.map(String.init) ?? module
            let name = stem.hasSuffix(".py") ? String(stem.dropLast(3)) : stem
            throw invalid(
                "it is a file's path",
                hint:
                    "Write the module's name, \(name):\(parts.count > 1 ? parts[1] : "app"), and the folder with --chdir"
            )
        }
        guard Self.isDottedName(module) else { throw invalid("\"\(module)\" is no module name", hint: example) }
        self.module = module
        isFactory = factory
        guard parts.count > 1 else { return }
        var attribute = parts[1]
        if attribute.hasSuffix("()") {
            attribute = String(attribute.dropLast(2))
            isFactory = true
        }
        guard Self.isDottedName(attribute) else {
            throw invalid(
                "\"\(parts[1])\" is no attribute name",
                hint: attribute.contains("(") ? "Arguments cannot be given: write a function without any" : example)
        }
        attributes = attribute.split(separator: ".").map(String.init)
    }

    private static func isDottedName(_ text: String) -> Bool {
        let names = text.split(separator: ".", omittingEmptySubsequences: false)
        return !names.isEmpty
            && names.allSatisfy { name in
                guard let first = name.unicodeScalars.first, first == "_" || first.properties.isXIDStart else {
                    return false
                }
                return name.unicodeScalars.allSatisfy { $0 == "_" || $0.properties.isXIDContinue }
            }
    }
}
