// The published JSON Schema: it describes every field that is encoded, nothing else, and a real validator accepts real reports.

import Foundation
import GraniteReport
import TestSupport
import Testing

struct SchemaTests {
    static let schemaFile = BuildProducts.checkout.appendingPathComponent(
        "Sources/GraniteReport/granite.crash.1.schema.json")

    @Test func theFullReportSetsEveryFieldOfEveryType() {
        #expect(FullReport.unset(in: FullReport.make()) == [])
    }

    @Test func everyEncodedFieldIsDescribedAndEveryDescribedFieldIsEncoded() throws {
        let schema = try #require(
            JSONSerialization.jsonObject(with: Data(contentsOf: Self.schemaFile)) as? [String: Any])
        let report = try JSONSerialization.jsonObject(with: Data(FullReport.make().encoded()))
        var walk = SchemaWalk(root: schema)
        walk.compare(report, with: schema, at: "report")
        #expect(walk.complaints == [])
        #expect(walk.fields > 90)
    }

    @Test func everyFieldButIdAndSchemaIsOptional() throws {
        let text = try String(contentsOf: Self.schemaFile, encoding: .utf8)
        #expect(text.components(separatedBy: "\"required\"").count == 2)
        #expect(text.contains(#""required": ["id", "schema"]"#))
        #expect(!text.contains("additionalProperties"))
    }

    @Test(
        .enabled(if: PythonValidator.found != nil, "python3 with jsonschema is missing: run Tests/run"),
        .timeLimit(.minutes(1)))
    func aRealValidatorAcceptsReportsAndRefusesWrongOnes() async throws {
        let folder = try TemporaryDirectory()
        var unknown = String(decoding: CrashReport(id: FullReport.make().id).encoded(), as: UTF8.self)
        unknown.insert(contentsOf: #""colour":"red","kind":"gpu_fault","#, at: unknown.index(after: unknown.startIndex))
        let files = [
            ("full", String(decoding: FullReport.make().encoded(), as: UTF8.self)),
            ("empty", String(decoding: CrashReport(id: FullReport.make().id).encoded(), as: UTF8.self)),
            ("unknown", unknown),
            (
                "wrong-address",
                #"{"id":"01JDF3T8Q2M4V6X8ZB0D2F4H6K","schema":"granite.crash/1","signal":{"address":"0x7F"}}"#
            ),
            ("no-id", #"{"schema":"granite.crash/1"}"#),
            ("wrong-type", #"{"id":"01JDF3T8Q2M4V6X8ZB0D2F4H6K","schema":"granite.crash/1","threads":{"1":{}}}"#),
        ]
        for (name, text) in files { try folder.write(text, to: name) }
        let python = try #require(PythonValidator.found)
        let result = try await Command.run(
            python, ["-c", PythonValidator.program, Self.schemaFile.path] + files.map { folder.file($0.0).path })
        #expect(result.errors == "")
        #expect(
            result.output == """
                full: valid
                empty: valid
                unknown: valid
                wrong-address: $.signal.address
                no-id: $
                wrong-type: $.threads

                """)
    }
}

/// The interpreter that Tests/run made, or the first in PATH; nil if it lacks jsonschema.
enum PythonValidator {
    static let found: URL? = {
        let environment = Foundation.ProcessInfo.processInfo.environment
        let candidates =
            [environment["GRANITE_TEST_PYTHON"]]
            + (environment["PATH"] ?? "").split(separator: ":").map { "\($0)/python3" }
        return candidates.compactMap { $0 }.map { URL(fileURLWithPath: $0) }.first { python in
            let process = Process()
            process.executableURL = python
            process.arguments = ["-c", "from jsonschema import Draft202012Validator"]
            process.standardError = FileHandle.nullDevice
            guard FileManager.default.isExecutableFile(atPath: python.path), (try? process.run()) != nil else {
                return false
            }
            process.waitUntilExit()
            return process.terminationStatus == 0
        }
    }()

    /// Prints `name: valid` or the path of the first error for each file.
    static let program = """
        import json, os, sys
        from jsonschema import Draft202012Validator
        schema = json.load(open(sys.argv[1]))
        Draft202012Validator.check_schema(schema)
        validator = Draft202012Validator(schema)
        for path in sys.argv[2:]:
            errors = sorted(validator.iter_errors(json.load(open(path))), key=lambda error: error.json_path)
            print(f"{os.path.basename(path)}: {errors[0].json_path if errors else 'valid'}")
        """
}

/// Walks a value and the schema side by side.
private struct SchemaWalk {
    let root: [String: Any]
    var complaints: [String] = []
    var fields = 0

    init(root: [String: Any]) { self.root = root }

    mutating func compare(_ value: Any, with schema: [String: Any], at path: String) {
        let target = resolved(schema)
        if let object = value as? [String: Any] {
            let properties = target["properties"] as? [String: [String: Any]] ?? [:]
            for (name, inner) in object.sorted(by: { $0.key < $1.key }) {
                fields += 1
                guard let property = properties[name] else {
                    complaints.append("\(path).\(name) is encoded but not in the schema")
                    continue
                }
                let description = property["description"] ?? resolved(property)["description"]
                if (description as? String ?? "").isEmpty { complaints.append("\(path).\(name) is not described") }
                if property["$ref"] == nil && property["type"] == nil {
                    complaints.append("\(path).\(name) has no type")
                }
                compare(inner, with: property, at: "\(path).\(name)")
            }
            for name in properties.keys.sorted() where object[name] == nil {
                complaints.append("\(path).\(name) is never encoded")
            }
        } else if let array = value as? [Any] {
            for element in array { compare(element, with: target["items"] as? [String: Any] ?? [:], at: path + "[]") }
        }
    }

    private func resolved(_ schema: [String: Any]) -> [String: Any] {
        guard let reference = schema["$ref"] as? String, let name = reference.split(separator: "/").last else {
            return schema
        }
        return (root["$defs"] as? [String: [String: Any]])?[String(name)] ?? [:]
    }
}
