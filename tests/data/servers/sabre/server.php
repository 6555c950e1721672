<?php
// Owns: one account over sabre/dav, the engine of several clouds, for `php -S`: its store is a file in the folder that it is started in.
// Must never know: the tests.
//
// It has three doors to the same collections: /remote.php/dav/ is as such clouds have it, and so is what the host says of it; behind
// /digest/ passwords are taken by Digest alone; and what is put behind /anew/ is written anew, of which no revision is told.

use Sabre\{CalDAV, CardDAV, DAV, DAVACL};
use Sabre\VObject\Reader;

require 'Sabre/autoload.php';

const ACCOUNT = 'me';
const PASSWORD = 'pw';
const REALM = 'DAV';
const DOORS = ['/remote.php/dav/', '/digest/', '/anew/'];

/** The account of this server, by its password as it is. */
class Basic extends DAV\Auth\Backend\AbstractBasic
{
    protected function validateUserPass($username, $password)
    {
        return [$username, $password] === [ACCOUNT, PASSWORD];
    }
}

/** The same by Digest. */
class Digest extends DAV\Auth\Backend\AbstractDigest
{
    public function getDigestHash($realm, $username)
    {
        return $username === ACCOUNT ? md5("$username:$realm:" . PASSWORD) : null;
    }
}

function anew(string $text): string
{
    return Reader::read($text)->serialize();
}

/** Cards that are written anew. */
class Cards extends CardDAV\Backend\PDO
{
    public function createCard($book, $name, $text)
    {
        parent::createCard($book, $name, anew($text));
    }

    public function updateCard($book, $name, $text)
    {
        parent::updateCard($book, $name, anew($text));
    }
}

/** Events and tasks that are. */
class Events extends CalDAV\Backend\PDO
{
    public function createCalendarObject($calendar, $name, $text)
    {
        parent::createCalendarObject($calendar, $name, anew($text));
    }

    public function updateCalendarObject($calendar, $name, $text)
    {
        parent::updateCalendarObject($calendar, $name, anew($text));
    }
}

/** The store, with the account in it. */
function store(): PDO
{
    $made = file_exists('store');
    $store = new PDO('sqlite:' . getcwd() . '/store');
    $store->setAttribute(PDO::ATTR_ERRMODE, PDO::ERRMODE_EXCEPTION);
    // It is gone with the test: nothing has to outlive a power cut.
    $store->exec('PRAGMA synchronous = off');
    if (!$made) {
        $store->exec(file_get_contents(__DIR__ . '/store.sql'));
    }
    return $store;
}

date_default_timezone_set('UTC');
// What PHP finds odd about an old library is not for answers.
ini_set('display_errors', '0');
error_reporting(E_ALL & ~E_DEPRECATED);

$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
$door = current(array_filter(DOORS, fn ($door) => str_starts_with("$path/", $door)));
if ($door === false) {
    $known = preg_match('~^/\.well-known/(carddav|caldav)$~', $path);
    http_response_code($known ? 301 : ($path === '/' ? 405 : 404));
    if ($known) {
        header('Location: ' . DOORS[0]);
    }
    return;
}

$store = store();
$people = new DAVACL\PrincipalBackend\PDO($store);
[$cards, $events] = $door === '/anew/'
    ? [new Cards($store), new Events($store)]
    : [new CardDAV\Backend\PDO($store), new CalDAV\Backend\PDO($store)];
$server = new DAV\Server([
    new CalDAV\Principal\Collection($people),
    new CalDAV\CalendarRootNode($people, $events),
    new CardDAV\AddressBookRoot($people, $cards),
]);
$server->setBaseUri($door);
$server->addPlugin(new DAV\Auth\Plugin($door === '/digest/' ? new Digest() : new Basic(), REALM));
$server->addPlugin(new CalDAV\Plugin());
$server->addPlugin(new CardDAV\Plugin());
$server->addPlugin(new DAVACL\Plugin());
$server->exec();
