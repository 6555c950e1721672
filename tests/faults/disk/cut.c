/* Owns: cutting a file system off (ext4 or xfs): what it has not written yet is lost, as when the power goes.
 * Must never know: whose files are on it. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>

int main(int count, char **words) {
  if (count != 2) return 2;
  int folder = open(words[1], O_RDONLY | O_DIRECTORY);
  uint32_t without_the_log = 2;
  if (folder < 0 || ioctl(folder, _IOR('X', 125, uint32_t), &without_the_log)) {
    perror(words[1]);
    return 1;
  }
  return 0;
}
