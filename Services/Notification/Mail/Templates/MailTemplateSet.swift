// SPDX-License-Identifier: Apache-2.0

internal import Glibc
internal import MartletJSON
internal import MartletServiceKit

/// Every template by its name: the built-in ones, and what the project says instead or besides.
///
/// A project's `templates/<name>.subject`, `.html` and `.txt` make a template; Supabase's keys
/// `[auth.email.template.<kind>]` go before the files of the same name. Without a subject of its own a built-in
/// template keeps the one it has. A body of its own replaces both built-in bodies, which would say something else.
struct MailTemplateSet: Sendable {
    /// What the configuration says about one template.
    struct Override: Sendable {
        var subject: String?
        /// Path of the HTML body, from the project folder or the one around it.
        var contentPath: String?
    }

    /// Which file or key is wrong, and how.
    struct Failure: Error, Sendable, Equatable {
        let place: String
        let reason: String
    }

    private let templates: [String: MailTemplateParts]

    /// - Parameter overrides: by template.
    init(project: ProjectFolder?, overrides: [String: Override] = [:]) throws(Failure) {
        var sources: [String: [String: Source]] = [:]
        for (name, source) in DefaultTemplates.sources {
            sources[name] = [
                "subject": Source("built in", source.subject), "html": Source("built in", source.html),
                "txt": Source("built in", source.text),
            ]
        }
        if let project {
            for (name, parts) in try Self.files(in: project.templates) {
                // Bodies without a subject are what a `content_path` leads to, unless they have a built-in subject.
                guard parts["subject"] != nil || sources[name] != nil else { continue }
                sources.override(name, with: parts)
            }
        }
        for (name, override) in overrides {
            var parts: [String: Source] = [:]
            let key = "auth.email.template.\(name)"
            if let subject = override.subject { parts["subject"] = Source("\(key).subject", subject) }
            if let path = override.contentPath {
                parts["html"] = try Self.content(path, key: "\(key).content_path", project)
            }
            sources.override(name, with: parts)
        }
        var templates: [String: MailTemplateParts] = [:]
        for (name, parts) in sources { templates[name] = try Self.template(name, parts) }
        self.templates = templates
    }

    /// The mail that a template makes of variables.
    func render(_ name: String, _ variables: JSONObject) throws(MailRefusal) -> MailContent {
        guard let template = templates[name] else { throw .unknownTemplate(name) }
        return try template.render(variables)
    }

    /// Where a part came from, and its text.
    fileprivate struct Source: Sendable {
        let place: String
        let text: String

        init(_ place: String, _ text: String) {
            self.place = place
            self.text = text
        }
    }

    private static func template(_ name: String, _ parts: [String: Source]) throws(Failure) -> MailTemplateParts {
        func parsed(_ part: String) throws(Failure) -> MailTemplate? {
            guard let source = parts[part] else { return nil }
            do throws(MailTemplate.Fault) {
                // A subject's file ends with a line break that belongs to the file.
                return try MailTemplate(part == "subject" ? source.text.withoutLineEnd : source.text)
            } catch { throw Failure(place: "\(source.place), line \(error.line)", reason: error.reason) }
        }
        guard let subject = try parsed("subject") else {
            throw Failure(place: name, reason: "the template has no subject")
        }
        let (html, text) = (try parsed("html"), try parsed("txt"))
        guard html != nil || text != nil else {
            throw Failure(
                place: parts["subject"]?.place ?? name, reason: "the template \(name) has neither html nor txt")
        }
        return MailTemplateParts(subject: subject, html: html, text: text)
    }

    private static func files(in folder: String) throws(Failure) -> [String: [String: Source]] {
        var found: [String: [String: Source]] = [:]
        for file in PosixFile.names(in: folder).sorted() {
            guard let dot = file.lastIndex(of: "."), dot > file.startIndex else { continue }
            let part = String(file[file.index(after: dot)...])
            guard ["subject", "html", "txt"].contains(part) else { continue }
            let path = "\(folder)/\(file)"
            guard let text = try read(path, place: path) else { continue }
            found[String(file[..<dot]), default: [:]][part] = Source(path, text)
        }
        return found
    }

    private static func content(_ path: String, key: String, _ project: ProjectFolder?) throws(Failure) -> Source {
        let base = project?.path ?? "."
        let outer = base.lastIndex(of: "/").map { String(base[..<$0]) } ?? base
        for candidate in [PosixFile.absolute(path, from: base), PosixFile.absolute(path, from: outer)] {
            if let text = try read(candidate, place: key) { return Source(candidate, text) }
        }
        throw Failure(place: key, reason: "there is no file \(path)")
    }

    private static func read(_ path: String, place: String) throws(Failure) -> String? {
        do {
            return try PosixFile.read(path, bytesMax: MailLimits.bodyBytesMax)
        } catch { throw Failure(place: place, reason: "\(error)") }
    }
}

/// The parts of one template.
struct MailTemplateParts: Sendable {
    let subject: MailTemplate
    let html: MailTemplate?
    let text: MailTemplate?

    /// - Throws: `badMail` when what comes out is no mail.
    func render(_ variables: JSONObject) throws(MailRefusal) -> MailContent {
        try MailContent(
            subject: try subject.render(variables, escaping: .none),
            html: try html?.render(variables, escaping: .html), text: try text?.render(variables, escaping: .none))
    }
}

extension [String: [String: MailTemplateSet.Source]] {
    fileprivate mutating func override(_ name: String, with parts: [String: MailTemplateSet.Source]) {
        var merged = self[name] ?? [:]
        if parts["html"] != nil || parts["txt"] != nil {
            merged["html"] = nil
            merged["txt"] = nil
        }
        for (part, source) in parts { merged[part] = source }
        self[name] = merged
    }
}

extension String {
    fileprivate var withoutLineEnd: String {
        var text = self[...]
        while text.last?.isNewline == true { text.removeLast() }
        return String(text)
    }
}
