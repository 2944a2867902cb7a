from tests.store.released import main

main()
