import assert from "node:assert/strict";
import { test } from "node:test";
import { age, amount, big, count, dated, delta, exact, mille, moment, percent, plain, short, span, units } from "../format.js";

const U256_MAX = (1n << 256n) - 1n;

test("amounts_beyond_what_a_double_holds_keep_every_digit", () => {
  const cases = /** @type {[bigint, string, string][]} */ ([
    [(1n << 53n) - 1n, "0.0090", "0.009007199254740991"],
    [1n << 53n, "0.0090", "0.009007199254740992"],
    [(1n << 53n) + 1n, "0.0090", "0.009007199254740993"],
    [1n << 64n, "18.4467", "18.446744073709551616"],
    [1n << 128n, "340,282,366,920,938,463,463.3746", "340,282,366,920,938,463,463.374607431768211456"],
    [U256_MAX, "115,792,089,237,316,195,423,570,985,008,687,907,853,269,984,665,640,564,039,457.5840", "115,792,089,237,316,195,423,570,985,008,687,907,853,269,984,665,640,564,039,457.584007913129639935"],
  ]);
  for (const [value, cut, all] of cases) {
    assert.equal(amount(value.toString(), 18), cut.replace(/0+$/, ""));
    assert.equal(exact(value.toString(), 18), `${all} tokens`);
    assert.equal(count(value.toString()).replaceAll(",", ""), value.toString());
  }
});

test("every_amount_can_be_read_back_exactly", () => {
  let seed = 88172645463325252n;
  for (let round = 0; round < 2000; round += 1) {
    seed ^= (seed << 13n) & ((1n << 64n) - 1n);
    seed ^= seed >> 7n;
    seed ^= (seed << 17n) & ((1n << 64n) - 1n);
    const value = (seed * seed * seed * seed) & (U256_MAX >> (seed % 250n));
    const [whole = "", part = ""] = amount(value.toString(), 18, 18).replaceAll(",", "").split(".");
    assert.equal(BigInt(whole + part.padEnd(18, "0")), value);
  }
});

test("an_amount_is_cut_and_never_rounded_up", () => {
  assert.equal(amount("1999999999999999999", 18), "1.9999");
  assert.equal(amount("999949999999999999999", 18), "999.9499");
});

test("what_is_not_nothing_never_shows_as_nothing", () => {
  assert.equal(amount("1", 18), "<0.0001");
  assert.equal(amount("99999999999999", 18), "<0.0001");
  assert.equal(amount("100000000000000", 18), "0.0001");
  assert.equal(amount("0", 18), "0");
});

test("amounts_have_the_decimals_of_their_token", () => {
  const cases = /** @type {[string, number, string, string][]} */ ([
    ["1234567", 6, "1.2345", "1.234567 tokens"], ["1234567", 2, "12,345.67", "12,345.67 tokens"], ["1234567", 0, "1,234,567", "1,234,567 tokens"],
    ["1", 2, "0.01", "0.01 tokens"], ["1", 6, "<0.0001", "0.000001 tokens"], ["1", 77, "<0.0001", `0.${"0".repeat(76)}1 tokens`],
  ]);
  for (const [value, decimals, cut, all] of cases) assert.deepEqual([amount(value, decimals), exact(value, decimals)], [cut, all]);
});

test("amounts_of_a_token_whose_decimals_nobody_knows_stay_base_units", () => {
  assert.deepEqual([amount("1234567", null), exact("1234567", null)], ["1,234,567 base units", "1,234,567 base units"]);
});

test("what_is_no_number_is_not_shown_as_one", () => {
  for (const value of [null, undefined, "", "-1", "1e18", "0x10", "1.5", " 1", "NaN", 1.5, 2 ** 53, {}, "9".repeat(79)]) {
    assert.equal(big(value), null);
    assert.equal(amount(value, 18), "–");
  }
});

test("a_change_says_direction_difference_and_share", () => {
  const of = (/** @type {string} */ now, /** @type {string} */ ago) => delta(now, ago, (value) => count(value));
  assert.deepEqual(of("5", "5"), { words: "no change", way: "same" });
  assert.deepEqual(of("5", "0"), { words: "+5", way: "up" });
  assert.deepEqual(of("110", "100"), { words: "+10 (+10.0 %)", way: "up" });
  assert.deepEqual(of("90", "100"), { words: "−10 (−10.0 %)", way: "down" });
  assert.deepEqual(of("0", "3"), { words: "−3 (−100.0 %)", way: "down" });
  assert.deepEqual(of(`${(1n << 128n) + 1n}`, `${1n << 128n}`), { words: "+1 (+0.0 %)", way: "up" });
  assert.deepEqual(of("5000", "100"), { words: "+4,900 (50×)", way: "up" });
  assert.equal(of("x", "1").words, "");
});

test("shares_are_cut_and_bounded", () => {
  assert.equal(mille("1", "3"), 333);
  assert.equal(mille("4", "3"), 1000);
  assert.equal(mille("1", "0"), 0);
  assert.equal(mille(U256_MAX.toString(), U256_MAX.toString()), 1000);
  assert.equal(percent("2", "3"), "66.6 %");
  assert.equal(percent("2", "0"), "–");
});

test("spans_name_their_two_largest_units", () => {
  const cases = /** @type {[number, string][]} */ ([[-5, "0 s"], [999, "0 s"], [59_999, "59 s"], [60_000, "1 min"], [125_000, "2 min 5 s"], [3_600_000, "1 h"], [90_061_000, "1 d 1 h"]]);
  for (const [ms, text] of cases) assert.equal(span(ms), text);
});

test("ages_name_one_unit_and_say_when_something_lies_ahead", () => {
  assert.equal(age(null, 5), "never");
  assert.equal(age(1_000_000, 1_000_999), "just now");
  assert.equal(age(0, 125_000), "2 min ago");
  assert.equal(age(0, 86_400_000 * 40), "40 d ago");
  assert.equal(age(65_000, 0), "in 1 min 5 s");
});

test("moments_are_utc", () => {
  assert.equal(moment(1767231321001), "2026-01-01 01:35:21 UTC");
  assert.equal(moment(null), "–");
  assert.equal(moment(1e300), "–");
  assert.equal(dated("received by 1767231351000"), "received by 2026-01-01 01:35:51 UTC");
});

test("text_from_devices_can_neither_hide_nor_turn", () => {
  for (const code of [0x00, 0x1b, 0x7f, 0x9f, 0xad, 0x61c, 0x200b, 0x200f, 0x202e, 0x2066, 0x2069, 0xfeff]) {
    assert.equal(plain(`a${String.fromCodePoint(code)}b`), "a\ufffdb", code.toString(16));
  }
  assert.equal(plain("<img src=x onerror=alert(1)>"), "<img src=x onerror=alert(1)>");
  assert.equal(plain("x".repeat(600)).length, 512);
  assert.equal(plain(null), "");
});

test("units_stand_with_their_kind", () => {
  assert.equal(units({ kind: "byte-seconds", quantity: "199229400" }), "199,229,400 byte-seconds");
  assert.equal(units("7", "watt-hours"), "7 watt-hours");
  assert.equal(units(undefined), "–");
});

test("long_names_keep_both_ends", () => {
  assert.equal(short("0x74f4141ca973081d3d1955714444ca5ae2a6281e"), "0x74f414…a6281e");
  assert.equal(short("did:key:z6Mkepk628iVywVuCMVtJWefGd1Jmia8UudFJY8gkese5wRt"), "did:key:z6Mkep…se5wRt");
  assert.equal(short("short"), "short");
});
