/** The part of Python's strftime that chat templates use; local time, English names. */
const MONTHS = ['January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October', 'November', 'December']
const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday']

const two = (value: number): string => String(value).padStart(2, '0')

const FIELDS: Record<string, (time: Date) => string> = {
  Y: time => String(time.getFullYear()).padStart(4, '0'),
  y: time => two(time.getFullYear() % 100),
  m: time => two(time.getMonth() + 1),
  d: time => two(time.getDate()),
  e: time => String(time.getDate()).padStart(2, ' '),
  B: time => MONTHS[time.getMonth()],
  b: time => MONTHS[time.getMonth()].slice(0, 3),
  A: time => DAYS[time.getDay()],
  a: time => DAYS[time.getDay()].slice(0, 3),
  H: time => two(time.getHours()),
  I: time => two((time.getHours() + 11) % 12 + 1),
  p: time => time.getHours() < 12 ? 'AM' : 'PM',
  M: time => two(time.getMinutes()),
  S: time => two(time.getSeconds()),
  '%': () => '%'
}

/** Fields that are not known are left as they stand. */
export function formatTime (time: Date, format: string): string {
  return format.replace(/%([A-Za-z%])/g, (text, letter: string) => Object.hasOwn(FIELDS, letter) ? FIELDS[letter](time) : text)
}
