import assert from "node:assert/strict";
import { test } from "node:test";
import { href, parse, recompute, route } from "../router.js";

test("addresses_name_views", () => {
  assert.equal(parse("/", "").view, "overview");
  assert.deepEqual([parse("/nodes/did:key:z6Mk", "").view, parse("/nodes/did:key:z6Mk", "").id], ["nodes", "did:key:z6Mk"]);
  assert.equal(parse("/nodes/a%2Fb", "").id, "a/b");
  for (const path of ["/what", "/nodes/a/b", "/nodes/%", "/overview/x", "/api/v1/nodes"]) assert.equal(parse(path, "").view, "lost", path);
});

test("links_keep_what_is_read", () => {
  route.value = parse("/nodes", "?at=final&cursor=abc");
  assert.equal(href("epochs", "5"), "/epochs/5?at=final");
  assert.equal(href("epochs", "5", { at: null }), "/epochs/5");
  route.value = parse("/", "");
  assert.equal(href("nodes", null, { status: "active", cursor: null, owner: "" }), "/nodes?status=active");
});

test("names_in_addresses_cannot_leave_their_segment", () => {
  assert.equal(href("nodes", "../../api?x#y"), "/nodes/..%2F..%2Fapi%3Fx%23y");
  assert.equal(parse(href("nodes", "a?b#c/d"), "").id, "a?b#c/d");
});

test("the_recompute_document_is_told_epoch_and_device", () => {
  assert.equal(recompute({ epoch: 0, device: "did:key:z6" }), "/recompute?epoch=0&device=did:key:z6");
  assert.equal(recompute({}), "/recompute");
});
