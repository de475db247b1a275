// SPDX-License-Identifier: Apache-2.0

import Foundation
import MartletJSON
import MartletServiceKit
import Testing

@testable import MartletNotification

@Suite("Notification: mail templates")
struct MailTemplateTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let template: String
        let expected: String
        var testDescription: String { template }
    }

    private static let variables: JSONObject = [
        "name": "Ada <3", "Token": "012345", "count": 3, "yes": true, "no": false, "empty": "", "none": [],
        "Data": ["city": "Köln", "deep": ["er": "x"]], "lines": [["item": "tea", "n": 2], ["item": "milk", "n": 1]],
        "words": ["a", "b"],
    ]

    @Test(
        "A template is filled in as mustache says",
        arguments: [
            Case(template: "Hi {{name}}!", expected: "Hi Ada &lt;3!"),
            Case(template: "{{{name}}} {{&name}} {{& name }}", expected: "Ada <3 Ada <3 Ada <3"),
            Case(template: "{{ .Token }} {{.Token}} {{ Token }}", expected: "012345 012345 012345"),
            Case(template: "{{ .Data.city }} {{Data.deep.er}} {{Data.no.where}}", expected: "Köln x "),
            Case(template: "{{count}} {{yes}} {{missing}}.", expected: "3 true ."),
            Case(template: "{{#yes}}a{{/yes}}{{^yes}}b{{/yes}}", expected: "a"),
            Case(template: "{{#no}}a{{/no}}{{^no}}b{{/no}}", expected: "b"),
            Case(template: "{{#empty}}a{{/empty}}{{^empty}}b{{/empty}}", expected: "b"),
            Case(template: "{{#none}}a{{/none}}{{^none}}b{{/none}}", expected: "b"),
            Case(
                template: "{{#lines}}{{n}} {{item}} for {{name}}; {{/lines}}",
                expected: "2 tea for Ada &lt;3; 1 milk for Ada &lt;3; "),
            Case(template: "{{#words}}{{.}},{{/words}}", expected: "a,b,"),
            Case(template: "{{#Data}}{{city}}{{#deep}}{{er}}{{/deep}}{{/Data}}", expected: "Kölnx"),
            Case(template: "a{{! a comment\nof two lines }}b", expected: "ab"),
            Case(template: "{ {not} }} {", expected: "{ {not} }} {"),
            Case(template: "{{\u{301}name}}", expected: ""),
        ])
    func renders(this: Case) throws {
        #expect(try MailTemplate(this.template).render(Self.variables, escaping: .html) == this.expected)
    }

    @Test("Text is not escaped, and every character of HTML is")
    func escapes() throws {
        let template = try MailTemplate("{{x}}")
        let variables: JSONObject = ["x": #"<a href="x" title='y'>&"#]
        #expect(try template.render(variables, escaping: .none) == #"<a href="x" title='y'>&"#)
        #expect(
            try template.render(variables, escaping: .html)
                == "&lt;a href=&quot;x&quot; title=&#39;y&#39;&gt;&amp;")
    }

    @Test(
        "What cannot be meant is refused with its line",
        arguments: [
            ("a\n{{name", 2), ("{{{name}}", 1), ("{{#a}}\n{{/b}}", 2), ("x\n{{#a}}\n", 2), ("{{/a}}", 1),
            ("{{> part}}", 1), ("{{=<% %>=}}", 1), ("\n\n{{ if .Token }}x{{ end }}", 3), ("{{}}", 1), ("{{a..b}}", 1),
            ("{{ .Token | html }}", 1), (String(repeating: "{{#a}}", count: MailLimits.sectionsMax + 1), 1),
        ])
    func refuses(text: String, line: Int) {
        let fault = #expect(throws: MailTemplate.Fault.self) { try MailTemplate(text) }
        #expect(fault?.line == line)
    }

    @Test("No loop over variables makes a mail without end")
    func isBounded() throws {
        let many = JSONValue.array(Array(repeating: ["x": "y"], count: 2_000))
        let template = try MailTemplate("{{#a}}{{#a}}\(String(repeating: "z", count: 1_000)){{/a}}{{/a}}")
        #expect(throws: MailRefusal.self) { try template.render(["a": many], escaping: .html) }
    }

    // MARK: The set

    private static func withProject<Result>(
        _ files: [String: String], _ body: (ProjectFolder) throws -> Result
    ) throws -> Result {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("martlet-\(UUID().uuidString)/app")
        try FileManager.default.createDirectory(
            at: folder.appendingPathComponent("templates"), withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder.deletingLastPathComponent()) }
        for (name, text) in files {
            try text.write(to: folder.appendingPathComponent(name), atomically: true, encoding: .utf8)
        }
        return try body(ProjectFolder(path: folder.path))
    }

    @Test(
        "Every built-in mail has the link and the code, in both bodies",
        arguments: DefaultTemplates.sources.keys.sorted())
    func builtIn(name: String) throws {
        let mail = try MailTemplateSet(project: nil).render(
            name, ["ConfirmationURL": "https://api.example.com/verify?a=1&b=2", "Token": "012345"])
        let (html, text) = (try #require(mail.html), try #require(mail.text))
        #expect(html.contains("https://api.example.com/verify?a=1&amp;b=2") && html.contains("012345"))
        #expect(text.contains("https://api.example.com/verify?a=1&b=2") && text.contains("012345"))
        #expect(!mail.subject.isEmpty && !mail.subject.contains("012345"))
    }

    @Test("A project's files make templates and replace built-in ones, their bodies together")
    func files() throws {
        try Self.withProject([
            "templates/order.subject": "Your order {{id}}\n", "templates/order.txt": "Thank you, {{name}}",
            "templates/confirmation.html": "<p>{{ .Token }}</p>", "templates/notes.md": "no template",
            "templates/bare.html": "no subject",
        ]) { project in
            let set = try MailTemplateSet(project: project)
            let order = try set.render("order", ["id": 7, "name": "Ada"])
            #expect(order.subject == "Your order 7")
            #expect(order.text == "Thank you, Ada")
            #expect(order.html == nil)
            let confirmation = try set.render("confirmation", ["Token": "012345"])
            #expect(confirmation.html == "<p>012345</p>")
            #expect(confirmation.text == nil)
            #expect(confirmation.subject == "Confirm your e-mail address")
            for name in ["notes", "bare"] {
                #expect(throws: MailRefusal.unknownTemplate(name)) { try set.render(name, [:]) }
            }
        }
    }

    @Test("Supabase's keys go before files; a path begins at the project folder or the one around it")
    func overrides() throws {
        try Self.withProject(["templates/recovery.html": "file", "templates/mine.html": "mine"]) { project in
            for path in ["./templates/mine.html", "./app/templates/mine.html"] {
                let set = try MailTemplateSet(
                    project: project, overrides: ["recovery": .init(subject: "Mine {{ .Email }}", contentPath: path)])
                let mail = try set.render("recovery", ["Email": "ada@example.org"])
                #expect(mail.subject == "Mine ada@example.org")
                #expect(mail.html == "mine")
                #expect(mail.text == nil)
            }
            let failure = #expect(throws: MailTemplateSet.Failure.self) {
                try MailTemplateSet(project: project, overrides: ["recovery": .init(contentPath: "nowhere.html")])
            }
            #expect(failure?.place == "auth.email.template.recovery.content_path")
        }
    }

    @Test("A template that cannot be read is named with its file and line")
    func faults() throws {
        try Self.withProject(["templates/a.subject": "x", "templates/a.html": "one\n{{ if .X }}"]) { project in
            let failure = #expect(throws: MailTemplateSet.Failure.self) { try MailTemplateSet(project: project) }
            #expect(failure?.place.hasSuffix("templates/a.html, line 2") == true)
        }
        try Self.withProject(["templates/a.subject": "x"]) { project in
            let failure = #expect(throws: MailTemplateSet.Failure.self) { try MailTemplateSet(project: project) }
            #expect(failure?.reason == "the template a has neither html nor txt")
        }
    }

    @Test("A subject cannot carry a header of its own")
    func subjects() throws {
        let content = try MailContent(subject: "Hello\r\nBcc: eve@example.com", html: nil, text: "x")
        #expect(!content.subject.contains("\r") && !content.subject.contains("\n"))
        #expect(throws: MailRefusal.self) { try MailContent(subject: "\r\n", html: nil, text: "x") }
        #expect(throws: MailRefusal.self) { try MailContent(subject: "x", html: nil, text: nil) }
    }
}
