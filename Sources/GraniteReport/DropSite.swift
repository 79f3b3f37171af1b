// Defines what a report says of an object that went wrong where nobody could catch it: what it is, whose it is, what held it.

/// Both sides of a value that was released, or an error that was raised, where nobody could catch it.
package struct DropSite: Codable, Sendable, Equatable {
    /// The value's label, or the object's repr.
    package var subject: String?
    /// What was wrong, in the words of whoever noticed.
    package var message: String?
    package var ownerTid: Int?
    package var ownerName: String?
    /// `alive` or `ended`.
    package var ownerState: String?
    /// When the value was made, RFC 3339.
    package var created: String?
    /// Where the value was made, innermost first.
    package var creationFrames: [Frame]?
    /// The Python function that made it, `lookup (app.py:11)`; nil if native code did, or it is not known.
    package var createdIn: String?
    /// The object's type, `module.Name`.
    package var type: String?
    /// Who noticed: `unraisable`, `threading`, `sys`, `rust`, `thread_bound`, `c`.
    package var hook: String?
    /// CPython's collector of cycles, if it was running: `running` on the thread of the drop, or `running_elsewhere`.
    package var collector: String?
    /// The oldest generation that it collected, 0 to 2.
    package var generation: Int?
    /// What referred to the object, by type, the most frequent first.
    package var referrers: [TypeCount]?
    /// `another` if `referrers` and `heldBy` are of another living object of the type, because this one was already unreachable.
    package var referrersOf: String?
    /// The steps of the cycle that keeps it alive: `frame lookup (app.py:11), local err`.
    package var heldBy: [String]?
    /// `file:line` of the allocation by tracemalloc, innermost first.
    package var allocatedAt: [String]?
    /// Living objects of the type.
    package var living: Int?

    package init() {}

    enum CodingKeys: String, CodingKey {
        case subject, message
        case ownerTid = "owner_tid"
        case ownerName = "owner_name"
        case ownerState = "owner_state"
        case created
        case createdIn = "created_in"
        case creationFrames = "creation_frames"
        case type, hook, collector, generation, referrers
        case referrersOf = "referrers_of"
        case heldBy = "held_by"
        case allocatedAt = "allocated_at"
        case living
    }

    package init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        subject = fields.lenient(.subject)
        message = fields.lenient(.message)
        ownerTid = fields.lenient(.ownerTid)
        ownerName = fields.lenient(.ownerName)
        ownerState = fields.lenient(.ownerState)
        created = fields.lenient(.created)
        creationFrames = fields.lenientArray(.creationFrames)
        createdIn = fields.lenient(.createdIn)
        type = fields.lenient(.type)
        hook = fields.lenient(.hook)
        collector = fields.lenient(.collector)
        generation = fields.lenient(.generation)
        referrers = fields.lenientArray(.referrers)
        referrersOf = fields.lenient(.referrersOf)
        heldBy = fields.lenientArray(.heldBy)
        allocatedAt = fields.lenientArray(.allocatedAt)
        living = fields.lenient(.living)
    }
}

/// How many objects of a type.
package struct TypeCount: Codable, Sendable, Equatable {
    /// `module.Name`.
    package var type: String
    package var count: Int
    package init(type: String, count: Int) {
        self.type = type
        self.count = count
    }
}
