-- What sabre/dav 1.8 keeps its things in, and one account.
CREATE TABLE principals (id INTEGER PRIMARY KEY, uri TEXT UNIQUE, email TEXT, displayname TEXT, vcardurl TEXT);
CREATE TABLE groupmembers (id INTEGER PRIMARY KEY, principal_id INTEGER, member_id INTEGER);
CREATE TABLE addressbooks (id INTEGER PRIMARY KEY, principaluri TEXT, uri TEXT, displayname TEXT, description TEXT, ctag INTEGER);
CREATE TABLE cards (id INTEGER PRIMARY KEY, addressbookid INTEGER, uri TEXT, carddata BLOB, lastmodified INTEGER);
CREATE TABLE calendars (
  id INTEGER PRIMARY KEY, principaluri TEXT, uri TEXT, displayname TEXT, description TEXT, ctag INTEGER, calendarorder INTEGER,
  calendarcolor TEXT, timezone TEXT, components TEXT, transparent INTEGER
);
CREATE TABLE calendarobjects (
  id INTEGER PRIMARY KEY, calendarid INTEGER, uri TEXT, calendardata BLOB, lastmodified INTEGER, etag TEXT, size INTEGER,
  componenttype TEXT, firstoccurence INTEGER, lastoccurence INTEGER
);
INSERT INTO principals (uri, email, displayname) VALUES
  ('principals/me', 'me@example.com', 'Me'), ('principals/me/calendar-proxy-read', NULL, NULL), ('principals/me/calendar-proxy-write', NULL, NULL);
