import { expect, test } from "vitest";

import { reason, withoutIcons, withoutLinks } from "../src/plainWords";

// What VS Code takes for a link in a message.
const LINK = /\[([^\]]+)\]\(((?:https?:\/\/|command:|file:)[^)\s]+)/i;

test("a test's id is no link in a message", () => {
  const id = "test_a[[all is well](command:workbench.action.quit)]";
  expect(id).toMatch(LINK);
  expect(withoutLinks(id)).not.toMatch(LINK);
  expect(withoutLinks(id).replaceAll("\u200b", "")).toBe(id);
  expect(withoutLinks("test_a[2] (third run)")).toBe("test_a[2] (third run)");
});

test("a test's id has no icons in a list", () => {
  expect(withoutIcons("test_a[$(flame)]")).not.toContain("$(");
});

test("an error is said in one line", () => {
  expect(reason(new Error("it is gone\n    at Client.sendRequest"))).toBe("it is gone");
  expect(reason("[x](command:y)")).not.toMatch(LINK);
});
